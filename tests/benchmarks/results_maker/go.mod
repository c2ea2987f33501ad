module loadtest/tests/benchmarks/results_maker

go 1.24
