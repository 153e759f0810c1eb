"""The pages, a file each: what they read, and what can be done on them."""
