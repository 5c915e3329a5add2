"""Models as the search sees them: their costs and the spaces they span."""
