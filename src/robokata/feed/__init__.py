"""From episodes to what a policy learns from: windows in seconds, statistics, order, pictures."""
