"""Small networks over active steps."""
