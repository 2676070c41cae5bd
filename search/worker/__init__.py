"""A worker: claims trials, runs them, records their results, and mirrors them to Optuna."""
