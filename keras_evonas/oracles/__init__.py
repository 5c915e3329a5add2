"""The oracle: evolution, its record and its limits behind keras-tuner."""
