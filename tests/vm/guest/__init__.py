"""What runs in the guests; differences.py is read by the host too."""
