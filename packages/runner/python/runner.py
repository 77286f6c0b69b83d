"""Serves one Python module inside an instance. Apart from the package: what is beside this file must not shadow a function's modules."""

from kiln_runner.main import main

main()
