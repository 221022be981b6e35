"""Who answers a request that leaves the machine: images by address, weights."""
