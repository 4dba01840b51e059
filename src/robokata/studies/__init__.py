"""What a data choice does to the policy: arms, replicates, effects with intervals."""
