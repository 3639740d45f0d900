/// The instruction sets beside `portable`, those included that this processor may lack.
enum Kernels {
  static let names = ["avx2", "avxvnni", "avx512", "avx512bf16"]
}
