"""Lifted training for scikit-learn: a classifier, a regressor, an autoencoder."""

from liftax.estimators._autoencoder import LiftedAutoencoder as LiftedAutoencoder
from liftax.estimators._classifier import LiftedClassifier as LiftedClassifier
from liftax.estimators._regressor import LiftedRegressor as LiftedRegressor
