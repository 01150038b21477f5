"""The only room that imports torch: backbones, features, the fit, predictions."""
