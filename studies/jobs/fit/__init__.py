"""A predictor fitted and saved."""
