"""How good a picture is, judged by networks that painted nothing."""
