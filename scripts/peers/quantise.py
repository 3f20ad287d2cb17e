"""Quantises a GGUF with llama.cpp's own quantiser.

usage: quantise.py IN.gguf OUT.gguf TYPE THREADS
"""

import sys

import llama_cpp

TYPES = {"F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}

source, target, kind, threads = sys.argv[1:5]
parameters = llama_cpp.llama_model_quantize_default_params()
parameters.ftype = TYPES[kind]
parameters.nthread = int(threads)
sys.exit(llama_cpp.llama_model_quantize(source.encode(), target.encode(), parameters))
