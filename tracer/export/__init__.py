"""How finished chunks leave the process."""
