"""Running the deployments: server, pools, limits, automations and workers on one machine, on loopback."""
