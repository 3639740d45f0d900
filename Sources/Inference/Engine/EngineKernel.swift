import CBlas
import Glibc

/// The instruction set that the kernels are written for, and the environment's word on it.
package enum EngineKernel {
  /// Names the best instruction set that may be taken: for comparisons, and for a processor that is slower with its widest.
  package static let variable = "EPHEMERALML_KERNEL"

  /// The one in use: all give the same bits.
  package static var name: String { String(cString: cb_kernel_name()) }

  /// Throws ``ModelError`` when the environment names an instruction set that there is not: who set it believes that it
  /// holds. An empty name is none.
  package static func checkEnvironment() throws(ModelError) {
    try check(cap: getenv(variable).map { String(cString: $0) } ?? "")
  }

  static func check(cap: String) throws(ModelError) {
    guard cap.isEmpty || cb_kernel_under(cap) != nil else {
      throw ModelError(
        "environment", "\(variable) is none of avx512bf16, avx512, avxvnni, avx2, portable")
    }
  }
}
