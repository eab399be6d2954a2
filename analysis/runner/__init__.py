"""What runs: looks at canaries, proof of what was commanded, objectives, anomalies."""
