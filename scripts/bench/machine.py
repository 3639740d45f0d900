"""The machine that a bench runs on."""
import os
import platform


def processor():
    facts = dict(
        line.split(":", 1) for line in open("/proc/cpuinfo").read().split("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    wanted = ["avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8"]
    have = set(facts.get("flags", "").split())
    return {
        "name": facts.get("model name", platform.machine()), "family": facts.get("cpu family"),
        "model": facts.get("model"), "processors": os.cpu_count(), "flags": [flag for flag in wanted if flag in have],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}",
    }
