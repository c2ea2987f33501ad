module loadtest/tests/benchmarks/trivial_server

go 1.24
