"""The taskwheel service: a task scheduler and run queue behind one gRPC API."""
