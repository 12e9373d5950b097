"""Writes a C program that calls every function of the public headers with one argument wrong and the others right, each in a process of its
own: NULL, an index that is not there, a size that cannot be, a text that is empty, endless or of control characters, an option struct of
another size.  What is right: no crash, no hang; a status that is no success has a text.  Called by tests/api/meson.build.
usage: misuse.py OUTPUT.c HEADER ..."""
import re
import sys

# How a right argument is made, by its type; a function of misuse.h where something must be opened first.
RIGHT = {
    "cover_context *": "make_context()", "const cover_context *": "make_context()", "cover_dataset *": "make_dataset()",
    "const cover_dataset *": "make_dataset()", "cover_config *": "make_config()", "const cover_config *": "make_config()",
    "cover_trainer *": "make_trainer()", "const cover_trainer *": "make_trainer()", "cover_task *": "make_task()",
    "const cover_task *": "make_task()", "cover_predictor *": "make_predictor()", "const cover_predictor *": "make_predictor()",
    "cover_tensor *": "make_tensor()", "const cover_tensor *": "make_tensor()", "cover_backbone *": "make_backbone()",
    "const cover_backbone *": "make_backbone()", "cover_head *": "make_head()", "const cover_head *": "make_head()",
    "const cover_features *": "make_features()", "cover_features *": "make_features()", "cover_sevr *": "make_sevr()",
    "const cover_evaluation *": "make_evaluation()", "cover_evaluation *": "make_evaluation()", "const cover_bench *": "make_bench()",
    "cover_bench *": "make_bench()", "const cover_tensor *const *": "some_tensors", "const char *const *": "some_texts",
    "const int64_t *": "some_sizes", "const double *": "some_numbers", "double *": "numbers_out", "int64_t *": "sizes_out", "int *": "&count_out",
    "char *": "NULL", "void *": "NULL", "const void *": "some_numbers", "cover_dtype": "COVER_F32", "cover_status": "COVER_OK",
    "double": "0.5", "uint64_t": "1", "uint32_t": "1", "size_t": "sizeof(size_t)", "int": "1", "int64_t": "1", "callback": "NULL",
    "const cover_figure *": "some_figures", "cover_dicom *": "make_dicom()", "const cover_dicom *": "make_dicom()", "size_t *": "&size_out",
    "cover_read_fn *": "read_ends", "cover_write_fn *": "write_ends", "const void **": "(void *)&out",
}
TEXT = {"preset": '"demo"', "name": '"seed"', "value": '"1"', "json": '"{}"', "task": '"seg"', "init": '"scratch"', "data": "DATA_FILE",
        "weights": "WEIGHTS_FILE", "source": "WEIGHTS_FILE"}
WRONG_TEXTS = ["NULL", '""', "endless", '"\\x1b]0;x\\x07\\n\\xff"', '"/proc/self/mem"', '"/dev/null/at/all"', "DEVICE", "PIPE"]
WRONG = {"int": ["-1", "INT_MAX", "INT_MIN"], "int64_t": ["-1", "INT64_MAX", "INT64_MIN"], "double": ["NAN", "INFINITY", "-1"],
         "cover_dtype": ["(cover_dtype)99", "(cover_dtype)-1"], "cover_status": ["(cover_status)99", "(cover_status)-1"],
         "const int64_t *": ["NULL", "huge_sizes", "negative_sizes"], "const double *": ["NULL", "odd_numbers"],
         "uint64_t": ["UINT64_MAX"], "uint32_t": ["UINT32_MAX"], "size_t": ["0", "SIZE_MAX"]}
# What takes memory of the caller whose size it cannot know, or ends what the next line needs.
LEFT_OUT = {("cover_predictor_options_init", "SIZE_MAX"), ("cover_feature_options_init", "SIZE_MAX"),
            # a count says how many elements the caller has: a wrong one is not for us to see
            ("cover_values_pearson", "INT64_MAX"), ("cover_interval_bootstrap", "INT64_MAX"), ("cover_interval_student", "INT64_MAX"),
            ("cover_dataset_pack", "INT_MAX"), ("cover_analysis_curves", "INT_MAX"), ("cover_figure_value", "INT_MAX"),
            ("cover_dicom_add_bytes", "SIZE_MAX"),
            # a whole measurement takes minutes
            ("cover_bench_run", "NULL"), ("cover_bench_run", "(void *)of_size(cover_bench_options, 9)")}


def declared(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
        for kind, name, rest in re.findall(r"COVER_API ([^;(]*?)(\bcover_\w+)\s*\(([^;]*)\);", text):
            rest = re.sub(r"\w+ \(\*(\w+)\)\([^()]*\)", r"callback \1", rest)
            arguments = []
            for argument in [] if rest.strip() == "void" else rest.split(","):
                kind_of, called = re.match(r"\s*(.*?)\s*(\w+)\s*(?:\[\w*\])?$", re.sub(r"\s+", " ", argument)).groups()
                arguments.append((kind_of + " *" if argument.strip().endswith("]") else kind_of, called))
            yield kind.strip(), name, arguments


def options_of(kind):
    """cover_x_options, a struct with a size at its start, or None."""
    found = re.match(r"(?:const )?(cover_\w+) \*$", kind)
    return found[1] if found and kind not in RIGHT else None


def right(kind, name):
    if kind == "const char *":
        return TEXT.get(name, "FREE_PATH")
    if kind.endswith("**"):
        return "(void *)&out"
    if options_of(kind):
        return f"(void *)sized({options_of(kind)})"
    return RIGHT[kind]


def wrongs(kind):
    if kind == "const char *":
        return WRONG_TEXTS
    if options_of(kind):
        return ["NULL", f"(void *)of_size({options_of(kind)}, 0)", f"(void *)of_size({options_of(kind)}, 1)",
                f"(void *)of_size({options_of(kind)}, 9)", f"(void *)too_long({options_of(kind)})"]
    return WRONG.get(kind, ["NULL"] if kind.endswith("*") else [])


def main():
    calls = []
    for kind, name, arguments in declared(sys.argv[2:]):
        for i, (type_of, called) in enumerate(arguments):
            for wrong in wrongs(type_of):
                if (name, wrong) in LEFT_OUT:
                    continue
                given = [wrong if j == i else right(*argument) for j, argument in enumerate(arguments)]
                calls.append((kind, name, f"{called} = {wrong}", ", ".join(given)))
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write('#include "misuse.h"\n')
        for number, (kind, name, _, given) in enumerate(calls):
            body = f"return said({name}({given}));" if kind == "cover_status" else f"{'' if kind == 'void' else '(void)'}{name}({given}); return 0;"
            out.write(f"static int call_{number}(void) {{ {body} }}\n")
        out.write("int main(int count, char **word) {\n    begin(count, word);\n")
        for number, (_, name, what, _) in enumerate(calls):
            words = f"{name}, {what}".replace("\\", "\\\\").replace('"', '\\"')
            out.write(f'    check("{words}", call_{number});\n')
        out.write("    return finish();\n}\n")


main()
