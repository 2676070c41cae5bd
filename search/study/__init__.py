"""A study: its file, its plan, its history, and the trial to begin next."""
