"""What comes in: files and folders, read, checked and split."""
