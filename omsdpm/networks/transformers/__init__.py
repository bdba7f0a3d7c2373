"""How the transformers of diffusers are called, one file a class."""
