"""The load test as a workflow: its definition, its steps, and the engines that run them."""
