"""The steps of a run, one module each: plain functions with typed input and output."""
