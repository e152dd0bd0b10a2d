"""Who a workload is: an embedded SPIFFE Workload API for hosts that run no SPIRE."""
