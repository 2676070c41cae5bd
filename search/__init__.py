"""The search for subsets of layers: spaces, samplers, studies, workers, answers, commands."""
