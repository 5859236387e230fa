"""The recipe: ``stylize`` and ``texture``, and the run behind them."""
