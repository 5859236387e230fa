"""One network for each style: trained on photos, applied to pictures of any size."""
