"""Age, gender and identity of one face: alignment, the network, calibration, adaptation, ONNX export."""
