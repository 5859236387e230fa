"""What is made of a run besides its picture: animations, plots, contact sheets."""
