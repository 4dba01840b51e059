"""From episodes to what a policy learns from: windows in seconds or steps, statistics, order, pictures."""
