# docker build -t liftax .
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" liftax restore noisy.png --out clean.png
FROM python:3.12-slim
COPY . /source
RUN python -m pip install --no-cache-dir --constraint /source/constraints.txt '/source[experiments,onnx,sklearn]' \
    && rm -rf /source \
    && useradd --create-home liftax && mkdir --mode=777 /cache
USER liftax
# A place to write for whoever runs it: `--user` makes files the caller's, and has no home here.
ENV XDG_CACHE_HOME=/cache
WORKDIR /work
ENTRYPOINT ["liftax"]
CMD ["--help"]
