# What `make install` and `make package` lay down: the library, what is needed to build against it, the program.
set(FORETELL_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/foretell)
include(CMakePackageConfigHelpers)

# The library and its headers
target_include_directories(foretell INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS foretell EXPORT foretellTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
install(DIRECTORY include/foretell DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev FILES_MATCHING PATTERN *.h)

# find_package(foretell)
install(EXPORT foretellTargets NAMESPACE foretell:: DESTINATION ${FORETELL_CMAKE_DIR} COMPONENT dev)
configure_package_config_file(packaging/foretellConfig.cmake.in ${CMAKE_BINARY_DIR}/foretellConfig.cmake
                              INSTALL_DESTINATION ${FORETELL_CMAKE_DIR} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/foretellConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/foretellConfig.cmake ${CMAKE_BINARY_DIR}/foretellConfigVersion.cmake
        DESTINATION ${FORETELL_CMAKE_DIR} COMPONENT dev)

# pkg-config: the prefix is found from where foretell.pc lies, so that the tree may be moved
file(RELATIVE_PATH FORETELL_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" FORETELL_PC_TO_PREFIX ${FORETELL_PC_TO_PREFIX})
configure_file(packaging/foretell.pc.in ${CMAKE_BINARY_DIR}/foretell.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/foretell.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

# The program, with its manual page and completion as it prints them itself
if(TARGET foretell_cli)
  install(TARGETS foretell_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
  set(FORETELL_MAN ${CMAKE_BINARY_DIR}/foretell.1)
  set(FORETELL_COMPLETION ${CMAKE_BINARY_DIR}/completion/foretell)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/completion)
  add_custom_command(OUTPUT ${FORETELL_MAN} ${FORETELL_COMPLETION} DEPENDS foretell_cli VERBATIM
                     COMMAND foretell_cli help --man > ${FORETELL_MAN}
                     COMMAND foretell_cli help --completion bash > ${FORETELL_COMPLETION})
  if(NOT FORETELL_SANITIZE)
    add_custom_target(manual ALL DEPENDS ${FORETELL_MAN} ${FORETELL_COMPLETION})
  endif()
  install(FILES ${FORETELL_MAN} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
  install(FILES ${FORETELL_COMPLETION} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          COMPONENT command)
endif()
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT command)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT command
        PATTERN *.sh EXCLUDE)

# Debian packages: libforetell0, libforetell-dev, foretell
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "the foretell project")
set(CPACK_PACKAGE_CONTACT "the foretell project <foretell@project.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "probabilistic forecasting")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL library dev command)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION math)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libforetell${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "libc6 (>= 2.34), libcairo2 (>= 1.16), libjansson4 (>= 2.13), zlib1g")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "fonts-dejavu-core, libcurl4")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "Probabilistic forecasting: the library libforetell.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libforetell-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libforetell${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEV_DESCRIPTION "Probabilistic forecasting: headers and build files of libforetell.")
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME foretell)
set(CPACK_DEBIAN_COMMAND_PACKAGE_DEPENDS "libforetell${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), libc6 (>= 2.34)")
set(CPACK_COMPONENT_COMMAND_DESCRIPTION "Probabilistic forecasting: the command foretell.")
include(CPack)
