"""Makes the Q4_0 form of the demo model: `python q4_0.py SRC.gguf DST.gguf`. Tensors of Q4_1 are
quantised anew, others stay.

The result has the types that llama.cpp's own quantiser gives a model of these widths, so that it
can be timed in every engine.
"""

import sys

import gguf
import numpy as np

source, destination = sys.argv[1:]
reader = gguf.GGUFReader(source)
writer = gguf.GGUFWriter(destination, reader.fields["general.architecture"].contents())
for key, field in reader.fields.items():
    if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
        continue
    kind = field.types[0]
    if kind == gguf.GGUFValueType.ARRAY:
        writer.add_array(key, field.contents())
    else:
        writer.add_key_value(key, field.contents(), kind)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)

for tensor in reader.tensors:
    data, kind = tensor.data, tensor.tensor_type
    if kind == gguf.GGMLQuantizationType.Q4_1:
        kind = gguf.GGMLQuantizationType.Q4_0
        data = gguf.quantize(gguf.dequantize(data, tensor.tensor_type).astype(np.float32), kind)
    writer.add_tensor(tensor.name, data, raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
