"""Values that a store holds: bounds of numbers, texts that strangers may have written, keys."""
