"""How a search is kept, judged and told to keras-tuner: the oracle."""
