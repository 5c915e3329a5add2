"""Training of candidates: several networks in one `fit`, each as if alone."""
