"""The engine of HSTCAL's programs: calacs.e (ACS), calwf3.e (WFC3) and cs0.e (STIS)."""
