"""Ask a language model behind an Amazon SageMaker endpoint."""

__version__ = "0.1.0"
