-- Run by the image of PostgreSQL when its volume is new: Prefect's rows beside the ledger's.
CREATE DATABASE prefect;
