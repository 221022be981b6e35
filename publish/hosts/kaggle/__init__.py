"""The Kaggle host: each release is one version of a dataset, in the same folders as everywhere else."""
