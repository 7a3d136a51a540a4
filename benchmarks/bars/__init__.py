"""How fast a year of minutes becomes bars, against what else people resample with."""
