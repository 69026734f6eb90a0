"""How good trained weights are: metrics, calibration, tag thresholds, the evaluation report."""
