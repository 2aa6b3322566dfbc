"""What runs beside the flows: Prefect's server, workers and what stands on the server, and captioners of our own."""
