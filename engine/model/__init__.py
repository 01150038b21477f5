"""Everything that needs torch: backbones, features, fits, predictions and explanations."""
