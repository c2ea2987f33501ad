"""Results: the rows that vegeta wrote, as columns, in its files and in ours, here or elsewhere."""
