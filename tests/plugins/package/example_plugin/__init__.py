"""A plug-in of every kind, one file and one entry point each."""
