# docker build -t liftax . && docker run --rm -v "$PWD:/work" liftax restore noisy.png --out clean.png
FROM python:3.12-slim
COPY . /source
RUN python -m pip install --no-cache-dir --constraint /source/constraints.txt '/source[experiments,onnx,sklearn]' \
    && rm -rf /source \
    && useradd --create-home liftax
USER liftax
WORKDIR /work
ENTRYPOINT ["liftax"]
CMD ["--help"]
